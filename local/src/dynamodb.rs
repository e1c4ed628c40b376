//! The embedded DynamoDB, served over HTTP so that other programs can use it too.

use std::path::Path;

use dynoxide::{Database, actions::get_item::GetItemRequest, server, types::AttributeValue};
use rollcall::store::TABLE;
use tokio::net::TcpListener;

/// Why the embedded DynamoDB cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be created or used.
    #[error("the data folder {folder} cannot be used: {cause}")]
    Folder {
        /// Its path.
        folder: String,
        /// The cause.
        cause: String,
    },
    /// The database in memory cannot be created.
    #[error("no database can be made in memory: {0}")]
    Memory(String),
}

/// An embedded DynamoDB. Its clones are the same one.
#[derive(Clone)]
pub struct Embedded(Database);

impl Embedded {
    /// Opens the database in `folder`. Creates both if they do not exist.
    ///
    /// # Errors
    ///
    /// [`OpenError::Folder`] if the folder cannot be created, or contains something else with that name.
    pub fn in_folder(folder: &Path) -> Result<Self, OpenError> {
        let failed =
            |cause: String| OpenError::Folder { folder: folder.display().to_string(), cause };
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let file = folder.join("dynamodb.sqlite");
        let path = file.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned()))?;
        let database = Database::new(path).map_err(|error| failed(error.to_string()))?;
        // Its name for `synchronous = NORMAL`: written data survives this process, and no write
        // waits for the disk.
        database.disable_bulk_loading().map_err(|error| failed(error.to_string()))?;
        Ok(Self(database))
    }

    /// Makes a database that exists until it is dropped.
    ///
    /// # Errors
    ///
    /// [`OpenError::Memory`] if `SQLite` fails.
    pub fn in_memory() -> Result<Self, OpenError> {
        Database::memory().map(Self).map_err(|error| OpenError::Memory(error.to_string()))
    }

    /// The item of Rollcall's table with this key, in DynamoDB's JSON; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The database's own message if it cannot be read.
    pub fn item(&self, table: &str, pk: &str, sk: &str) -> Result<Option<String>, String> {
        let [pk_name, sk_name] = TABLE.key.map(str::to_owned);
        let [pk, sk] = [pk, sk].map(|text| AttributeValue::S(text.to_owned()));
        let request = GetItemRequest {
            table_name: table.to_owned(),
            key: [(pk_name, pk), (sk_name, sk)].into(),
            ..GetItemRequest::default()
        };
        let item = self.0.get_item(request).map_err(|error| error.to_string())?.item;
        item.map(|item| serde_json::to_string(&item)).transpose().map_err(|error| error.to_string())
    }

    /// Serves DynamoDB's HTTP API until `stop` resolves.
    ///
    /// # Errors
    ///
    /// The server's own message if it fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), String> {
        server::serve_with_shutdown(listener, self.0, stop).await
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}
